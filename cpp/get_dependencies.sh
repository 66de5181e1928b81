#!/usr/bin/env bash
# Puts the headers that the C++ library is made with into DIR/usr/include: those of ONNX Runtime and
# nlohmann-json, from the packages of Debian. Nothing is installed. ONNX Runtime's library comes with
# its Python wheel.
#
#   cpp/get_dependencies.sh DIR
set -euo pipefail
mkdir -p "$1"
cd "$1"
if [ -e usr/include/onnxruntime/onnxruntime_cxx_api.h ] && [ -e usr/include/nlohmann/json.hpp ]; then
  exit 0
fi
mkdir -p lists/partial cache/archives/partial
# older releases of Debian have no ONNX Runtime; of a newer one no more than headers is taken
echo "deb http://deb.debian.org/debian trixie main" > trixie.list
keys=$(find /usr/share/keyrings -name 'debian-archive-keyring.*' | head -n 1)
sed -i "s|^deb |deb [signed-by=$keys] |" trixie.list
options=(
  -o "Dir::Etc::sourcelist=$PWD/trixie.list" -o Dir::Etc::sourceparts=/dev/null
  -o "Dir::State::lists=$PWD/lists" -o "Dir::Cache=$PWD/cache" -o "APT::Sandbox::User=$(id -un)"
)
apt-get "${options[@]}" update -qq
apt-get "${options[@]}" download -qq libonnxruntime-dev nlohmann-json3-dev
for package in *.deb; do
  dpkg-deb -x "$package" .
done
