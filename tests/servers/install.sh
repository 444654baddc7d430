#!/bin/sh
# Installs those of the Debian packages PACKAGE... that are missing, and starts none of the servers that they hold.
# Usage: install.sh PACKAGE...; as root, or as somebody who may use sudo.
set -eu

command -v apt-get >/dev/null || {
    echo "There is no apt-get here; please install what is called in Debian: $*" >&2
    exit 1
}

missing=
for package in "$@"; do
    dpkg-query --show --showformat='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
        missing="$missing $package"
done
[ -n "$missing" ] || exit 0

[ "$(id -u)" -eq 0 ] && sudo= || sudo=sudo
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap '$sudo rm -f "$policy"' EXIT
    trap 'exit 1' INT TERM
    printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null
    $sudo chmod 755 "$policy"
fi

$sudo apt-get update -qq
command -v debconf-set-selections >/dev/null && {
    echo "slapd slapd/no_configuration boolean true"
    [ -e /etc/krb5.conf ] || echo "krb5-config krb5-config/default_realm string EXAMPLE.TEST"
} | $sudo debconf-set-selections
# What is left unquoted is a list of words.
$sudo env DEBIAN_FRONTEND=noninteractive \
    apt-get install -qq -o DPkg::Lock::Timeout=300 --no-install-recommends $missing
