#!/usr/bin/env bash
# Makes a private Python environment, anew where its requirements have changed: venv.sh FOLDER REQUIREMENTS
set -euo pipefail
folder=$1 requirements=$2

cmp --quiet "$requirements" "$folder/requirements.txt" && exit 0
"${PYTHON3:-python3}" -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check -r "$requirements"
cp "$requirements" "$folder/requirements.txt"
