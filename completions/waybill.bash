# bash completion for waybill: commands, options, model names, runtimes.
# A test holds the options against `waybill COMMAND --help`.

_waybill_commands="import init check events wait models show log try copy diff report explain retry update cancel delete runtime templates workers du gc verify
    backup restore store token audit serve worker maintenance setting access-key key credential doctor"
_waybill_common="--data --project --server --config-file --set --lang --color --utc --quiet --help"
_waybill_types="TensorFlow PyTorch MindSpore MXNet Caffe XGBoost Scikit_Learn Spark_MLlib ONNX LLM
    Custom Image"

_waybill_options() {
    case $1 in
    import) echo "--name --version --type --runtime --config --child --platform --description
        --template --infer-format --source-job-id --source-job-version --dereference --dynamic --no-cache --verify --if-exists --retries --timeout --detach --format --json" ;;
    check) echo "--name --version --type --runtime --config --child --platform --description
        --template --infer-format --source-job-id --source-job-version --dereference --dynamic --format --json" ;;
    init) echo "--type --force --json" ;;
    events) echo "--type --after --follow --all --reason --kind --since --limit --waterfall --deleted --json" ;;
    wait) echo "--timeout" ;;
    models) echo "--status --name --deleted --json" ;;
    log) echo "--attempt --follow" ;;
    report) echo "--output" ;;
    delete) echo "--all-versions" ;;
    runtime) echo "--image --engine --json" ;;
    token) echo "--user --role --expires --url --json" ;;
    audit) echo "--limit --json" ;;
    access-key) echo "--user --role --expires --json" ;;
    credential) echo "--for --host --user --secret-stdin --json" ;;
    serve) echo "--listen --workers --log-format" ;;
    worker) echo "--workers" ;;
    maintenance) echo "--message --until --json" ;;
    setting) echo "--all --json" ;;
    gc) echo "--dry-run --json" ;;
    verify) echo "--drop-damaged --json" ;;
    try) echo "--input --path" ;;
    show) echo "--key --json" ;;
    retry) echo "--config --dependencies --child --from --dynamic --no-cache --retries --timeout --json" ;;
    update) echo "--description --dependencies --retries --timeout --detach --json" ;;
    store) echo "--from --to --json" ;;
    copy | key | diff | explain | templates | workers | du | backup | restore | doctor) echo "--json" ;;
    esac
}

# Runs waybill on the data directory and project of the command line, without a word of complaint.
_waybill_ask() {
    local i options=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --data | --project | --server | --config-file | --set) options+=("${COMP_WORDS[i]}" "${COMP_WORDS[i + 1]}") ;;
        esac
    done
    "${COMP_WORDS[0]}" "$@" "${options[@]}" 2>/dev/null
}

_waybill_models() {
    _waybill_ask models --color never | awk '{ print $1; print $1 ":" $2 }' | sort -u
}

_waybill_runtimes() {
    _waybill_ask runtime list --color never | awk '{ print $1 }'
}

_waybill_templates() {
    _waybill_ask templates --color never | awk '{ print $1 }'
}

_waybill_settings() {
    _waybill_ask setting list --all --color never | awk '{ print $1 }'
}

_waybill_tokens() {
    _waybill_ask token list --color never | awk '{ print $1 }'
}

_waybill_reasons() {
    _waybill_ask explain --json | grep -o '"reason": *"[A-Za-z]*"' | cut -d'"' -f4
}

# words WORDS PREFIX, files -d|-f PREFIX: what may stand at the cursor.
_waybill_words() {
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2")
}

_waybill_files() {
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen "$1" -- "$2")
}

# The command, and how many arguments stand between it and the cursor.
_waybill_look() {
    local i
    command='' arguments=0
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --data | --project | --server | --config-file | --set | --lang | --color) ((i++)) ;;
        --name | --version | --runtime | --config | --dependencies | --child | --platform | --description | \
            --type | --status | --image | --engine | --after | --attempt | --timeout | \
            --from | --if-exists | --retries | --output | --message | --until | --listen | --workers | --log-format | --format | \
            --user | --role | --expires | --for | --host | --url | --limit | --input | --path | --key | \
            --template | --infer-format | --source-job-id | --source-job-version) ((i++)) ;;
        -* | : | =) ;;
        *)
            if [[ -z $command ]]; then
                command=${COMP_WORDS[i]}
            elif [[ ${COMP_WORDS[i - 1]} != : ]]; then
                ((arguments++))
                [[ $arguments != 1 ]] || verb=${COMP_WORDS[i]}
            fi
            ;;
        esac
    done
}

# The value of the option before the cursor; fails where it takes none that we know.
_waybill_value() {
    case $1 in
    --data | --child) _waybill_files -d "$2" ;;
    --config | --dependencies | --config-file | --output | --key) _waybill_files -f "$2" ;;
    --format) _waybill_words "github gitlab sarif junit markdown plain" "$2" ;;
    --from) _waybill_words "check copy environment build size source" "$2" ;;
    --log-format) _waybill_words "text json" "$2" ;;
    --role) _waybill_words "reader writer admin" "$2" ;;
    --for) _waybill_words "registry s3" "$2" ;;
    --role) _waybill_words "reader writer admin" "$2" ;;
    --if-exists) _waybill_words "same fail retry" "$2" ;;
    --lang) _waybill_words "en zh" "$2" ;;
    --color) _waybill_words "auto always never" "$2" ;;
    --status)
        _waybill_words "publishing published failed building building_failed" "$2"
        ;;
    --runtime) _waybill_words "$(_waybill_runtimes)" "$2" ;;
    --template) _waybill_words "$(_waybill_templates)" "$2" ;;
    --engine) _waybill_words "$_waybill_types" "$2" ;;
    --type)
        if [[ $command == events ]]; then
            _waybill_words "normal abnormal hint problems" "$2"
        else
            _waybill_words "$_waybill_types" "$2"
        fi
        ;;
    --project | --server | --set | --name | --version | --platform | --description | --image | --after | \
        --attempt | --timeout | --retries | --message | --until | \
        --user | --expires | --host | --url | --limit | \
        --infer-format | --source-job-id | --source-job-version) ;;
    *) return 1 ;;
    esac
}

_waybill_argument() {
    case $command in
    events | wait | show | log | try | copy | report | retry | update | cancel | delete | verify)
        if [[ $arguments == 0 ]]; then
            _waybill_words "$(_waybill_models)" "$1"
        elif [[ $arguments == 1 && $command == retry ]]; then
            _waybill_files -d "$1"
        fi
        ;;
    diff) [[ $arguments -ge 2 ]] || _waybill_words "$(_waybill_models)" "$1" ;;
    import | init | check | backup | restore) _waybill_files -d "$1" ;;
    explain)
        _waybill_words "$(_waybill_reasons; _waybill_models)" "$1"
        ;;
    token)
        if [[ $arguments == 0 ]]; then
            _waybill_words "create list revoke link" "$1"
        elif [[ $arguments == 1 && $verb == revoke ]]; then
            _waybill_words "$(_waybill_tokens)" "$1"
        fi
        ;;
    key) [[ $arguments != 0 ]] || _waybill_words "create show" "$1" ;;
    store) [[ $arguments != 0 ]] || _waybill_words "copy" "$1" ;;
    maintenance) [[ $arguments != 0 ]] || _waybill_words "status on off" "$1" ;;
    setting)
        if [[ $arguments == 0 ]]; then
            _waybill_words "list set unset" "$1"
        elif [[ $verb == set || $verb == unset ]]; then
            _waybill_words "$(_waybill_settings)" "$1"
        fi
        ;;
    access-key) [[ $arguments != 0 ]] || _waybill_words "create list revoke" "$1" ;;
    credential) [[ $arguments != 0 ]] || _waybill_words "add list remove" "$1" ;;
    runtime)
        if [[ $arguments == 0 ]]; then
            _waybill_words "add bootstrap list remove" "$1"
        elif [[ $arguments == 1 && $verb == remove ]]; then
            _waybill_words "$(_waybill_runtimes)" "$1"
        elif [[ $arguments == 1 && $verb == bootstrap ]]; then
            _waybill_words "python3.11" "$1"
        fi
        ;;
    esac
}

_waybill() {
    local IFS=$' \t\n' command arguments verb='' word previous
    COMPREPLY=()
    word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    # bash takes NAME:VERSION apart at the colon, and completes what stands behind it.
    if [[ $word == : ]]; then
        word=$previous: previous=
    elif [[ $previous == : ]] && ((COMP_CWORD > 1)); then
        word=${COMP_WORDS[COMP_CWORD - 2]}:$word previous=
    fi
    _waybill_look
    [[ $word != *:* || $arguments == 0 ]] || ((arguments--))
    _waybill_value "$previous" "$word" && return
    if [[ $word == -* ]]; then
        _waybill_words "$(_waybill_options "$command") $_waybill_common" "$word"
    elif [[ -z $command ]]; then
        _waybill_words "$_waybill_commands" "$word"
    else
        _waybill_argument "$word"
    fi
    [[ $word != *:* ]] || COMPREPLY=("${COMPREPLY[@]#"${word%:*}:"}")
}

complete -F _waybill waybill
