#!/usr/bin/env bash
# Sets options of the charm on many sites in waves, and stops at the first site that does not serve them:
#
#     ./roll-out.sh SITES OPTION=VALUE…
#     ./roll-out.sh sites.txt image=registry.example/iris:2
#
# SITES is a file with a site on each line, in the order of the roll-out: a Juju model as `juju models` shows it, such as
# `plant-7:edge`, and the application behind it (`iris` if there is none). Lines that begin with # are ignored.
#
# A site is only changed if it is active. The next wave begins when all sites of this one are active with the new options, and
# still are after a time. Otherwise the script stops with exit code 1, and changes nothing more. It can be run again: a site
# that has the options already stays as it is.
#
# Needs bash, jq, and juju 3 or later, logged in to the controllers.
set -euo pipefail

WAVES=${WAVES:-1 5}         # the sizes of the first waves; the last one has the rest
SOAK=${SOAK:-600}           # seconds for which the sites so far must stay active before the next wave
TIMEOUT=${TIMEOUT:-900}     # seconds that a site may take to become active
PAUSE=${PAUSE:-10}          # seconds between two reports of a site

if (($# < 2)); then
    sed -n '2,/^$/s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
options=("${@:2}")

sites=()
while read -r model application _; do
    [[ -z $model || $model == \#* ]] || sites+=("$model ${application:-iris}")
done <"$1"
if ((${#sites[@]} == 0)); then
    echo "$1: no sites" >&2
    exit 2
fi

# The numbers of the sites that were changed, and of those that are to be.
changed=0
next=0

# look SITE: sets `state` and `message` to the status of the site for its current options. A site that does not answer has the
# state `unknown`.
look() {
    local model application report
    read -r model application <<<"$1"
    state=unknown
    message="no report"
    report=$(juju run -m "$model" "$application/leader" report --format json </dev/null 2>/dev/null |
        jq -r '.[].results.report') || return 0
    if [[ $(jq -r .format <<<"$report" 2>/dev/null) != 1 ]]; then
        message="no report of format 1"
        return 0
    fi
    state=$(jq -r .status.state <<<"$report")
    message=$(jq -r .status.message <<<"$report")
}

stop() {
    local site
    echo "STOPPED: $1"
    echo "changed:"
    for site in "${sites[@]:0:changed}"; do echo "    $site"; done
    echo "not changed:"
    for site in "${sites[@]:changed}"; do echo "    $site"; done
    read -r model application <<<"$2"
    echo "Previous options of a site: juju run -m $model $application/leader rollback"
    exit 1
}

# await SITE: returns when it is active. What is blocked needs a person; anything else may still become active.
await() {
    local end=$((SECONDS + TIMEOUT))
    while look "$1" && [[ $state != active ]]; do
        [[ $state != blocked ]] || stop "$1 is blocked: $message" "$1"
        ((SECONDS < end)) || stop "$1 is not active after $TIMEOUT s: $state: $message" "$1"
        sleep "$PAUSE"
    done
}

# wave SIZE: changes that many sites, and waits until all sites changed so far are active and stay so.
wave() {
    local site model application end
    next=$((changed + $1 < ${#sites[@]} ? changed + $1 : ${#sites[@]}))
    local these=("${sites[@]:changed:next-changed}")
    echo "== $((next - changed)) of ${#sites[@]} sites"
    for site in "${these[@]}"; do
        look "$site"
        [[ $state == active ]] || stop "$site is not active, and was not changed: $state: $message" "$site"
    done
    for site in "${these[@]}"; do
        read -r model application <<<"$site"
        changed=$((changed + 1))
        juju config -m "$model" "$application" "${options[@]}" </dev/null || stop "$site: the options were not set" "$site"
    done
    for site in "${these[@]}"; do
        await "$site"
        echo "$site: $message"
    done
    ((next < ${#sites[@]})) || return 0
    end=$((SECONDS + SOAK))
    while ((SECONDS < end)); do
        for site in "${sites[@]:0:changed}"; do
            look "$site"
            [[ $state != blocked ]] || stop "$site became blocked: $message" "$site"
        done
        sleep "$PAUSE"
    done
    for site in "${sites[@]:0:changed}"; do await "$site"; done
}

for size in $WAVES "${#sites[@]}"; do
    ((changed == ${#sites[@]})) || wave "$size"
done
echo "All ${#sites[@]} sites serve: ${options[*]}"
