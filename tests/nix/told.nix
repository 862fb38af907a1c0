# What a test wants to know of an evaluated system, as JSON can hold it.
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
        inherit (unit) after wants wantedBy;
        path = map toString unit.path;
        unit = unit.unitConfig;
        service = unit.serviceConfig;
        triggers = map toString (unit.restartTriggers or [ ]);
      };
in
{
  toml = toml "permafrost.toml";
  vaultToml = toml "vault.toml";
  server = service "permafrost";
  vault = service "permafrost-vault";
  refused = map (one: one.message) (builtins.filter (one: !one.assertion) (system.assertions or [ ]));
  warnings = system.warnings or [ ];
  users = system.users.users or { };
  groups = builtins.attrNames (system.users.groups or { });
  firewall = system.networking.firewall or { };
  tmpfiles = system.systemd.tmpfiles.settings or { };
  roles = system.services.postgresql.ensureUsers or [ ];
  commands = map toString (system.environment.systemPackages or [ ]);
  checks = map (check: check.text) (system.system.checks or [ ]);
}
