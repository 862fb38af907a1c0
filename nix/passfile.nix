# The script that writes a libpq password file: libpq wants a line of its own for a password, and services.mastodon has the
# bare password in a file, which the service gets as the credential database-password.
{
  lib,
  sed,
  host,
  port,
  user,
  passfile,
}:
let
  any = "*";
  target = lib.escapeShellArgs [
    (if lib.hasPrefix "/" host then any else host)
    (if port == null then any else toString port)
    user
  ];
in
''
  set -eu
  umask 077
  IFS= read -r password < "$CREDENTIALS_DIRECTORY/database-password" || [ -n "$password" ]
  escaped=$(printf '%s' "$password" | ${sed} -e 's/[\\:]/\\&/g')
  printf '%s:%s:*:%s:%s\n' ${target} "$escaped" > ${passfile}
''
