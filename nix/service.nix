# What services.permafrost and services.permafrost-vault have in common: their package, user, ports and the settings of
# their units.
{ lib, pkgs }:
rec {
  isBelow = folder: path: path == folder || lib.hasPrefix "${folder}/" path;
  inStore = path: lib.hasPrefix "${builtins.storeDir}/" path;

  # TOML has no null.
  withoutNulls =
    value:
    if lib.isAttrs value then
      lib.filterAttrs (_: part: part != null && part != { }) (lib.mapAttrs (_: withoutNulls) value)
    else
      value;

  # Works with the overlay and without it.
  package = lib.mkPackageOption (
    pkgs // { permafrost = pkgs.permafrost or (pkgs.callPackage ./package.nix { }); }
  ) "permafrost" { };

  # The user of that name only: any other exists already.
  users =
    { user, group, ... }:
    lib.mkIf (user == "permafrost") {
      users.permafrost = {
        isSystemUser = true;
        inherit group;
        description = "permafrost";
      };
      groups = lib.mkIf (group == "permafrost") { permafrost = { }; };
    };

  firewall =
    { openFirewall, settings, ... }:
    let
      ports = import ./ports.nix {
        inherit lib;
        discovery = settings.syncthing.discovery or true;
      } settings.syncthing.listen;
    in
    lib.mkIf openFirewall {
      allowedTCPPorts = ports.tcp;
      allowedUDPPorts = ports.udp;
    };

  # Two Syncthings want one port: `whose` is the one that the service in `option` starts.
  portWarning =
    {
      option,
      whose,
      syncthing,
      hosts,
    }:
    lib.optional (hosts.enable && syncthing.managed or true && syncthing.listen == [ "default" ]) ''
      ${option}.settings.syncthing.listen: services.syncthing and ${whose} own Syncthing both want port 22000. Set
      another one here, like [ "tcp://:22001" "quic://:22001" ], or use the existing Syncthing:
      ${option}.settings.syncthing.managed = false, with url and api_key_file.
    '';

  after = [
    "network-online.target"
    "time-sync.target"
  ];

  programs = [
    pkgs.gnupg
    pkgs.zstd
    pkgs.syncthing
  ];

  # What systemd runs and how, before it is shut away (sandbox.nix).
  serviceConfig =
    { user, group, ... }:
    import ./sandbox.nix
    // {
      Type = "notify";
      NotifyAccess = "main";
      User = user;
      Group = group;
      Restart = "always";
      RestartSec = 30;
      TimeoutStartSec = 180;
      TimeoutStopSec = 20;
      OOMPolicy = "continue";
      Nice = 10;
    };
}
