# The ports that a Syncthing which listens on these addresses wants open: { tcp = [ ... ]; udp = [ ... ]; }. `default` is
# 22000 for both; relays need none. With discovery, machines of one network find each other by 21027 for UDP.
{ lib, discovery }:
listen:
let
  portOf =
    transport: address:
    if address == "default" then
      22000
    else
      let
        found = builtins.match "${transport}[46]?://.*:([0-9]+)" address;
      in
      if found == null then null else lib.toInt (builtins.head found);
  ports = transport: lib.unique (lib.filter (port: port != null) (map (portOf transport) listen));
in
{
  tcp = ports "tcp";
  udp = ports "quic" ++ lib.optional discovery 21027;
}
