#include "object/s3_event.h"

const char *s3_event_kind(const GError *error)
{
    switch ((S3ErrorCode)error->code) {
    case S3_ERROR_NO_BUCKET:
        return "no_bucket";
    case S3_ERROR_NO_KEY:
        return "gone";
    case S3_ERROR_DENIED:
        return "denied";
    case S3_ERROR_CHANGED:
        return "changed";
    case S3_ERROR_SHORT_BODY:
        return "short_body";
    case S3_ERROR_CHECKSUM:
        return "checksum";
    default:
        return "server_error";
    }
}

static void add_text(Event *event, const char *key, const char *text)
{
    if (text)
        event_with_text(event, key, text);
}

const char *s3_principal(const S3 *s3)
{
    const S3Credentials *credentials = s3_service(s3)->credentials;
    return credentials ? credentials->access_key : "anonymous";
}

const char *s3_event_error(const S3 *s3, const GError *error)
{
    const S3Failure *failure = s3_failure(s3);
    bool said = failure->message && *failure->message;
    return failure->reason ? failure->reason : said ? failure->message : error->message;
}

Event *s3_event_with(Event *event, const S3 *s3)
{
    const S3Failure *failure = s3_failure(s3);
    const S3Credentials *credentials = s3_service(s3)->credentials;
    json_t *http = json_object();
    event_with_text(event, "bucket", s3_bucket(s3));
    event_with_text(event, "principal", s3_principal(s3));
    event_with_text(event, "credential", credentials ? credentials->origin : "none");
    json_object_set_new(http, "method", json_string(failure->method));
    g_autofree char *url = event_text(failure->url);
    json_object_set_new(http, "url", json_string(url));
    if (failure->status)
        json_object_set_new(http, "status", json_integer(failure->status));
    event_with_json(event, "http", http);
    add_text(event, "code", failure->code);
    add_text(event, "request_id", failure->request_id);
    if (failure->clock_skew_s)
        event_with(event, "{s:I}", "clock_skew_s", (json_int_t)failure->clock_skew_s);
    return event_with(event, "{s:i, s:I}", "attempts", failure->tries, "waited_ms",
                      (json_int_t)failure->waited_ms);
}
