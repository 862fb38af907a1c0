# services.permafrost backs up the Mastodon server of this machine; services.permafrost-vault keeps copies of servers.
# Both may be on one machine.
{
  imports = [
    ./server.nix
    ./vault.nix
  ];
}
