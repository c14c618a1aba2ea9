// A bearer-token issuer for a registry's token mode: node token_issuer.js DIR SECONDS
// DIR holds issuer.key and issuer.crt; tokens live so many seconds. It takes a port that is free and
// prints it. alice / s3cret is let in by GET; her identity token ("alices-identity") by POST.
const http = require('http'), crypto = require('crypto'), fs = require('fs');

const [dir, life] = process.argv.slice(2);
const LOGIN = 'Basic ' + Buffer.from('alice:s3cret').toString('base64');
const key = fs.readFileSync(`${dir}/issuer.key`);
const certificate = fs.readFileSync(`${dir}/issuer.crt`, 'utf8').replace(/-----[^-]+-----|\s/g, '');
const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

// "repository:NAME:pull,push …" as the claims of a token.
function access(scopes) {
  return scopes.flatMap((scope) => scope.split(' ')).filter(Boolean).map((scope) => {
    const first = scope.indexOf(':'), last = scope.lastIndexOf(':');
    return { type: scope.slice(0, first), name: scope.slice(first + 1, last),
             actions: scope.slice(last + 1).split(',') };
  });
}

function token(scopes) {
  const now = Math.floor(Date.now() / 1000);
  const head = part({ typ: 'JWT', alg: 'RS256', x5c: [certificate] });
  const body = part({ iss: 'test-issuer', sub: 'alice', aud: 'test-registry', exp: now + Number(life),
                      nbf: now - 10, iat: now, jti: crypto.randomUUID(), access: access(scopes) });
  const signature = crypto.sign('sha256', Buffer.from(`${head}.${body}`), key).toString('base64url');
  return `${head}.${body}.${signature}`;
}

function answer(response, fields) {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ ...fields, expires_in: Number(life) }));
}

function refuse(response) {
  response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="issuer"' });
  response.end();
}

const server = http.createServer((request, response) => {
  const url = new URL(request.url, 'http://issuer');
  if (request.method === 'GET') {
    if (request.headers.authorization !== LOGIN) return refuse(response);
    return answer(response, { token: token(url.searchParams.getAll('scope')) });
  }
  let form = '';
  request.on('data', (data) => { form += data; });
  request.on('end', () => {
    const fields = new URLSearchParams(form);
    if (fields.get('grant_type') !== 'refresh_token' || fields.get('refresh_token') !== 'alices-identity')
      return refuse(response);
    return answer(response, { access_token: token(fields.getAll('scope')) });
  });
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
