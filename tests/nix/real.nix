# Evaluates nix/module.nix with the modules of a nixpkgs tree, of which it needs `lib` and `nixos` alone: packages are
# names, and only texts are real. `given` is a NixOS module. Used where $PERMAFROST_NIXPKGS names such a tree.
{ tree, given }:
let
  lib = import (tree + "/lib");
  package = name: attributes: lib.fix (
    self:
    {
      type = "derivation";
      inherit name;
      pname = name;
      version = "1.0";
      outPath = "/nix/store/00000000000000000000000000000000-${name}";
      drvPath = "/nix/store/00000000000000000000000000000000-${name}.drv";
      outputs = [ "out" ];
      meta.mainProgram = name;
      passthru = { };
      override = _: self;
      overrideAttrs = _: self;
    }
    // lib.genAttrs [ "out" "bin" "lib" "man" "dev" "su" ] (_: self)
    // attributes
  );
  text = name: text: package name { inherit text; };
  names = [
    "acl" "attr" "bash" "bashInteractive" "bcache-tools" "bubblewrap" "bzip2" "coreutils" "coreutils-full" "cpio" "curl"
    "dbus" "diffutils" "dosfstools" "e2fsprogs" "ffmpeg" "ffmpeg-headless" "file" "findutils" "fish" "fontconfig" "fuse"
    "fuse3" "gawk" "getconf" "getent" "gettext" "glibcLocales" "gnugrep" "gnupatch" "gnupg" "gnused" "gnutar" "gzip"
    "hicolor-icon-theme" "host" "hostname-debian" "imagemagick" "iproute2" "iptables" "iputils" "kexec-tools" "kmod"
    "less" "libcap" "linux" "logrotate" "makeInitrdNGTool" "man-db" "mastodon" "mkpasswd" "nano" "ncurses" "netcat"
    "nettools" "nftables" "nginx" "nginxStable" "nix" "nix-bash-completions" "nix-info" "nixos-container"
    "nixos-firewall-tool" "nodejs" "nsncd" "openresolv" "openssh" "pam" "perl" "permafrost" "pgbackrest" "pkgsi686Linux"
    "postfix" "procps" "python3" "redis" "rsync" "ruby" "shadow" "shared-mime-info" "sound-theme-freedesktop" "strace"
    "su" "sudo" "syncthing" "systemd" "texinfoInteractive" "time" "tzdata" "util-linux" "which" "xonsh" "xz" "zsh"
    "zstd"
  ];
  postgresql = package "postgresql-plain" {
    psqlSchema = "15";
    version = "15.1";
    pkgs = { };
    withJIT = postgresql;
    withoutJIT = postgresql;
    withPackages = _: package "postgresql-with-extensions" { };
  };
  value = with lib.types; nullOr (oneOf [ bool int float str path (attrsOf value) (listOf value) ]) // { description = "value"; };
  format = _: {
    type = value;
    generate = name: value: package name { inherit value; };
  };
  platform = lib.systems.elaborate "x86_64-linux";
  pkgs =
    lib.genAttrs names (name: package name { })
    // lib.genAttrs (map (major: "postgresql_${toString major}") (lib.range 12 18)) (_: postgresql)
    // lib.genAttrs [ "writeText" "writeShellScript" "writeShellScriptBin" "writeScript" "writeScriptBin" ] (_: text)
    // {
      inherit lib postgresql;
      _type = "pkgs";
      __splicedPackages = pkgs;
      pkgsStatic = pkgs;
      buildPackages = pkgs;
      path = tree;
      system = "x86_64-linux";
      config = { };
      overlays = [ ];
      appendOverlays = _: pkgs;
      extend = _: pkgs;
      stdenv = {
        hostPlatform = platform;
        buildPlatform = platform;
        cc.libc = package "libc" { };
        inherit (platform) isx86_64 isLinux isAarch64 isDarwin isx86_32 is64bit;
      };
      formats = lib.genAttrs [ "toml" "json" "yaml" "ini" "keyValue" ] (_: format);
      runtimeShell = "/bin/sh";
      callPackage = _: _: package "permafrost" { };
      writeTextDir = text;
      writeTextFile = file: text file.name file.text;
      runCommand = name: _: text name;
      runCommandLocal = name: _: text name;
      linkFarm = name: _: package name { };
      symlinkJoin = joined: package joined.name { };
      buildEnv = joined: package joined.name { };
      linuxPackages = {
        extend = _: pkgs.linuxPackages;
        kernel = package "kernel" {
          features = { };
          config = lib.genAttrs [ "isSet" "isYes" "isEnabled" ] (_: _: true);
        };
      };
    };
  has = file: name: lib.hasInfix name (builtins.readFile (tree + "/nixos/modules/services/${file}"));
  secret = name: {
    type = lib.types.str;
    default = "/var/lib/mastodon/secrets/active-record-encryption-${name}";
  };
  # What trees of 2024 lack of those of 2026.
  newer = { lib, ... }: {
    options.services.mastodon = lib.optionalAttrs (!has "web-apps/mastodon.nix" "activeRecordEncryption") {
      activeRecordEncryptionPrimaryKeyFile = lib.mkOption (secret "primary-key");
      activeRecordEncryptionDeterministicKeyFile = lib.mkOption (secret "deterministic-key");
      activeRecordEncryptionKeyDerivationSaltFile = lib.mkOption (secret "key-derivation-salt");
    };
    options.services.postgresql = lib.optionalAttrs (!has "databases/postgresql.nix" "finalPackage") {
      finalPackage = lib.mkOption { default = package "postgresql-with-extensions" { }; };
    };
    config.systemd.targets = lib.optionalAttrs (lib.versionAtLeast lib.trivial.release "25.11") {
      postgresql.description = "PostgreSQL, with its roles";
    };
  };
  machine = { lib, ... }: {
    nixpkgs.hostPlatform = "x86_64-linux";
    system.stateVersion = "24.11";
    boot.isContainer = true;
    networking.useDHCP = false;
    networking.dhcpcd.enable = false;
    environment.stub-ld.enable = false;
    environment.defaultPackages = [ ];
    programs.command-not-found.enable = false;
    documentation.enable = false;
    system.disableInstallerTools = true;
    services.mastodon = {
      localDomain = lib.mkDefault "Social.Example";
      webProcesses = lib.mkDefault 2;
      streamingProcesses = lib.mkDefault 1;
      smtp.fromAddress = lib.mkDefault "notifications@social.example";
    };
  };
  evaluated = import (tree + "/nixos/lib/eval-config.nix") {
    system = null;
    inherit lib pkgs;
    modules = [ ../../nix/module.nix newer machine given ];
  };
in
import ./told.nix {
  inherit (evaluated) config;
  system = evaluated.config;
}
