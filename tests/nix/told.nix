# What a test wants to know of an evaluated system, as JSON can hold it: what is permafrost's.
{ config, system }:
let
  toml =
    name:
    let
      file = system.environment.etc."permafrost/${name}" or null;
    in
    if file == null then null else file.source.value;
  service =
    name:
    let
      unit = system.systemd.services.${name} or null;
    in
    if unit == null then
      null
    else
      {
        after = unit.after or [ ];
        wants = unit.wants or [ ];
        wantedBy = unit.wantedBy or [ ];
        path = map toString unit.path;
        unit = removeAttrs unit.unitConfig [ "After" "Wants" "Description" "X-Restart-Triggers" ];
        service = unit.serviceConfig;
        triggers = map toString (unit.restartTriggers or [ ]);
      };
  socket =
    name:
    let
      unit = (system.systemd.sockets or { }).${name} or null;
    in
    if unit == null then null else { inherit (unit) listenStreams socketConfig; };
  sorted = builtins.sort builtins.lessThan;
  # what is left of an mkIf that does not hold, with the stand-in
  asList = value: if builtins.isList value then value else [ ];
  isOurs = text: builtins.replaceStrings [ "permafrost" ] [ "" ] text != text;
  ours = set: removeAttrs set (builtins.filter (name: !isOurs name) (builtins.attrNames set));
in
{
  toml = toml "permafrost.toml";
  vaultToml = toml "vault.toml";
  server = service "permafrost";
  vault = service "permafrost-vault";
  drill = service "permafrost-drill";
  drillSocket = socket "permafrost-drill";
  refused = builtins.filter isOurs (
    map (one: one.message) (builtins.filter (one: !one.assertion) (system.assertions or [ ]))
  );
  warnings = builtins.filter isOurs (system.warnings or [ ]);
  users = builtins.mapAttrs (_: user: { inherit (user) isSystemUser group; }) (ours (system.users.users or { }));
  groups = builtins.attrNames (ours (system.users.groups or { }));
  ports = {
    tcp = sorted (system.networking.firewall.allowedTCPPorts or [ ]);
    udp = sorted (system.networking.firewall.allowedUDPPorts or [ ]);
  };
  tmpfiles = builtins.mapAttrs (_: builtins.mapAttrs (_: one: { d = { inherit (one.d) user group mode; }; })) (
    ours (system.systemd.tmpfiles.settings or { })
  );
  mayCreateDatabases = map (role: role.name) (
    builtins.filter (role: (role.ensureClauses.createdb or null) == true) (asList (system.services.postgresql.ensureUsers or [ ]))
  );
  commands = builtins.filter isOurs (map toString (system.environment.systemPackages or [ ]));
  checks = builtins.filter isOurs (map (check: check.text or "") (system.system.checks or [ ]));
}
