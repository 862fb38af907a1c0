{
  description = "Backs up a Mastodon server to machines of its admin, and proves that the backups restore";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      forEach = function: nixpkgs.lib.genAttrs systems (system: function nixpkgs.legacyPackages.${system});
    in
    {
      nixosModules.default = ./nix/module.nix;
      nixosModules.server = ./nix/server.nix;
      nixosModules.vault = ./nix/vault.nix;

      overlays.default = final: _: { permafrost = final.callPackage ./nix/package.nix { }; };

      packages = forEach (pkgs: {
        default = pkgs.callPackage ./nix/package.nix { };
      });

      checks = forEach (pkgs: {
        package = pkgs.callPackage ./nix/package.nix { };
        nixos = pkgs.testers.runNixOSTest (import ./nix/test.nix { module = self.nixosModules.default; });
      });

      formatter = forEach (pkgs: pkgs.nixfmt-rfc-style or pkgs.nixfmt);
    };
}
