# What the node runs in place of uv's installer: puts the wrapper where the installer would put uv.
set -eu
folder=${UV_INSTALL_DIR:-$HOME/.local/bin}
mkdir -p "$folder"
cp @SHIMS@/uv "$folder/uv.part.$$"
mv "$folder/uv.part.$$" "$folder/uv"
