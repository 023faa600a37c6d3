#!/bin/sh
# Makes certificates for development in this folder: a small CA, and one ECDSA P-256 and one RSA-2048
# certificate that it signs, for localhost, *.localhost, 127.0.0.1 and ::1.
#
#     certs/make-certs.sh [FOLDER]      default: the folder it stands in
#
#     ca.crt                                  give this to a client: curl --cacert certs/ca.crt ...
#     localhost-ecdsa.pem, localhost-rsa.pem  certificates: the "chain" of a bundle
#     *.key                                   private keys, mode 0600. Nothing of this is committed.
#
# What is there and good for another month stays as it is, and then nothing is said.
set -eu
umask 077

folder=${1:-$(dirname -- "$0")}
mkdir -p -- "$folder"
cd -- "$folder"

ca_days=3650
leaf_days=397 # clients refuse longer ones
month=2592000 # in seconds
tmp=.make-certs.$$
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

# quietly COMMAND...: what it says only when it fails.
quietly()
{
    "$@" >"$tmp/said" 2>&1 && return
    cat "$tmp/said" >&2
    echo "make-certs.sh: $1 $2 failed" >&2
    exit 1
}

# is_good CERTIFICATE KEY: both there, of each other, and valid for a month.
is_good()
{
    [ -s "$1" ] && [ -s "$2" ] || return 1
    openssl x509 -in "$1" -noout -checkend "$month" >/dev/null 2>&1 || return 1
    [ "$(openssl x509 -in "$1" -noout -pubkey 2>/dev/null)" = \
        "$(openssl pkey -in "$2" -pubout 2>/dev/null)" ]
}

make_key() # KIND FILE
{
    case $1 in
    ecdsa) quietly openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$2" ;;
    rsa) quietly openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$2" ;;
    esac
}

make_ca()
{
    make_key ecdsa "$tmp/ca.key"
    cat >"$tmp/ca.cnf" <<'CNF'
[req]
distinguished_name = dn
x509_extensions = ext
prompt = no
[dn]
O = sallyport
CN = sallyport development CA
[ext]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
# Were the key ever lost: good for nothing but names of this machine.
nameConstraints = critical, permitted;DNS:localhost, permitted;IP:127.0.0.0/255.0.0.0, permitted;IP:::1/ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
CNF
    quietly openssl req -new -x509 -sha256 -days "$ca_days" -config "$tmp/ca.cnf" \
        -key "$tmp/ca.key" -out "$tmp/ca.crt"
    chmod 644 "$tmp/ca.crt"
    mv "$tmp/ca.key" ca.key
    mv "$tmp/ca.crt" ca.crt
    echo "made certs: ca.crt (development CA)"
}

make_leaf() # KIND
{
    name=localhost-$1

    make_key "$1" "$tmp/$name.key"
    cat >"$tmp/leaf.cnf" <<'CNF'
[req]
distinguished_name = dn
prompt = no
[dn]
CN = localhost
[ext]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = DNS:localhost, DNS:*.localhost, IP:127.0.0.1, IP:::1
CNF
    quietly openssl req -new -sha256 -config "$tmp/leaf.cnf" -key "$tmp/$name.key" \
        -out "$tmp/leaf.csr"
    quietly openssl x509 -req -sha256 -days "$leaf_days" -in "$tmp/leaf.csr" -CA ca.crt \
        -CAkey ca.key -set_serial "0x$(openssl rand -hex 16 | sed 's/^./4/')" \
        -extfile "$tmp/leaf.cnf" -extensions ext -out "$tmp/leaf.crt"
    # With the CA behind it the chain is complete to its end: nothing to be warned about.
    cat "$tmp/leaf.crt" ca.crt >"$tmp/$name.pem"
    chmod 644 "$tmp/$name.pem"
    mv "$tmp/$name.key" "$name.key"
    mv "$tmp/$name.pem" "$name.pem"
    echo "made certs: $name.pem, $name.key"
}

# signed_by_ca CERTIFICATE: by the one that is there now.
signed_by_ca()
{
    openssl verify -CAfile ca.crt "$1" >/dev/null 2>&1
}

command -v openssl >/dev/null 2>&1 || {
    echo "make-certs.sh: openssl is needed" >&2
    exit 1
}
mkdir "$tmp"

is_good ca.crt ca.key || make_ca
for kind in ecdsa rsa; do
    name=localhost-$kind
    if ! is_good "$name.pem" "$name.key" || ! signed_by_ca "$name.pem"; then
        make_leaf "$kind"
    fi
    chmod 600 "$name.key"
done
