#!/usr/bin/env bash
# What `make run` and the tests need beside Python: a browser for the tests of pages; make installs the rest.
set -euo pipefail
sudo apt-get update -qq
sudo DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends make chromium >/dev/null
make docs-page
