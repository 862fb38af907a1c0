# Evaluates nix/server.nix and nix/vault.nix with the stand-in library, for the configuration in `given`.
{ given }:
let
  lib = import ./lib.nix;
  package = name: { outPath = "/nix/store/00000000000000000000000000000000-${name}"; };
  pkgs =
    lib.genAttrs [ "gnupg" "zstd" "syncthing" "bubblewrap" "coreutils" "gnused" "postgresql" "permafrost" ] package
    // {
      formats.toml = _: {
        type = lib.types.attrsOf lib.types.str;
        generate = name: value: package name // { inherit value; };
      };
      writeShellScript = name: text: package name // { inherit text; };
      runCommand = name: _: text: package name // { inherit text; };
    };
  file = name: {
    default = "/var/lib/mastodon/secrets/${name}";
  };
  options.services.mastodon = {
    secretKeyBaseFile = file "secret-key-base";
    vapidPrivateKeyFile = file "vapid-private-key";
    vapidPublicKeyFile = file "vapid-public-key";
    activeRecordEncryptionPrimaryKeyFile = file "active-record-encryption-primary-key";
    activeRecordEncryptionDeterministicKeyFile = file "active-record-encryption-deterministic-key";
    activeRecordEncryptionKeyDerivationSaltFile = file "active-record-encryption-key-derivation-salt";
    # as mkRemovedOptionModule leaves it
    otpSecretFile.visible = false;
  };
  others = {
    services.mastodon = {
      enable = false;
      user = "mastodon";
      group = "mastodon";
      localDomain = "Social.Example";
      package.version = "4.5.2";
      extraConfig = { };
      extraEnvFiles = [ ];
      otpSecretFile = throw "the option was removed";
      database = {
        createLocally = true;
        host = "/run/postgresql";
        port = null;
        name = "mastodon";
        user = "mastodon";
        passwordFile = null;
      };
    }
    // builtins.mapAttrs (_: option: option.default) (
      removeAttrs options.services.mastodon [ "otpSecretFile" ]
    );
    services.postgresql = {
      enable = (given.services.mastodon.enable or false);
      package = package "postgresql-plain";
      finalPackage = package "postgresql-with-extensions";
      settings.port = 5432;
      identMap = "";
      authentication = "";
    };
    services.syncthing.enable = false;
    systemd.targets.postgresql = { };
  };
  modules = map (
    module:
    import module {
      inherit
        lib
        pkgs
        options
        config
        ;
    }
  ) [ ../../nix/server.nix ../../nix/vault.nix ];
  config = lib.merge (lib.merge others given) (
    builtins.foldl' (all: module: lib.merge all (lib.evalOptions (module.options) (pick module.options given) [ ])) { } modules
  );
  # only what the module has options for
  pick =
    options: given:
    builtins.mapAttrs (
      name: option:
      if option._type or "" == "option" then given.${name} else pick option (given.${name} or { })
    ) (lib.filterAttrs (name: option: option._type or "" != "option" || given ? ${name}) options);
  system = builtins.foldl' (all: module: lib.merge all (lib.discharged module.config)) { } modules;
in
import ./told.nix { inherit config system; }
