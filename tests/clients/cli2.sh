#!/usr/bin/env bash
# cli2.sh FOLDER: put an AWS CLI of version 2, unmodified, at FOLDER/bin/aws; where none can be had, say why in FOLDER/missing.
#
# AWS publishes it as an installer on its own site, not in a registry. Debian packages it, for Debian's own Python.
set -euo pipefail
folder=$1
# What the package needs of Debian's; no package's scripts run, as nothing is installed.
packages=(
  awscli python3-awscrt python3-cffi-backend python3-colorama python3-cryptography python3-dateutil python3-distro
  python3-docutils python3-jmespath python3-prompt-toolkit python3-pyasn1 python3-roman python3-ruamel.yaml
  python3-ruamel.yaml.clib python3-six python3-urllib3 python3-wcwidth
)

rm -rf "$folder"
mkdir -p "$folder/bin"
for found in $(type -ap aws); do
  if [[ $("$found" --version 2>/dev/null) == aws-cli/2* ]]; then
    ln -s "$found" "$folder/bin/aws"
    exit
  fi
done
if [[ $(apt-cache policy awscli 2>/dev/null) != *"Candidate: 2"* ]]; then
  echo "no aws-cli/2 is on the PATH, and this system has no package of it" >"$folder/missing"
  exit
fi
mkdir "$folder/packages"
if ! (cd "$folder/packages" && apt-get -qq download "${packages[@]}" >../log 2>&1); then
  echo "Debian's package awscli could not be had: see $folder/log" >"$folder/missing"
  exit
fi
for package in "$folder"/packages/*.deb; do
  dpkg-deb -x "$package" "$folder"
done
rm -r "$folder/packages"
cat >"$folder/bin/aws" <<'WRAPPER'
#!/bin/sh
here=$(dirname "$(dirname "$(readlink -f "$0")")")
PYTHONPATH="$here/usr/lib/python3/dist-packages" exec /usr/bin/python3 "$here/usr/bin/aws" "$@"
WRAPPER
chmod +x "$folder/bin/aws"
"$folder/bin/aws" --version >"$folder/log" 2>&1 || { echo "Debian's package awscli does not run here: see $folder/log" >"$folder/missing"; rm "$folder/bin/aws"; }
