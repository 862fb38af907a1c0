# permafrost as a package. gpg, zstd, Syncthing and bubblewrap are wrapped in, because commands are also run by hand, as a
# user whose PATH has none of them; PostgreSQL's programs are not, as they have to be those of the server.
{
  lib,
  stdenv,
  python3Packages,
  installShellFiles,
  bubblewrap,
  gnupg,
  syncthing,
  zstd,
}:
python3Packages.buildPythonApplication rec {
  pname = "permafrost-backup";
  version = (lib.importTOML ../pyproject.toml).project.version;
  pyproject = true;

  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../LICENSE
      ../README.md
      ../pyproject.toml
      ../src
    ];
  };

  build-system = [ python3Packages.hatchling ];

  dependencies = with python3Packages; [
    click
    cronsim
    cryptography
    httpx
    numpy
    psycopg
    pydantic
    rich
    tomli-w
    zstandard
    zxcvbn
  ]
  ++ optional-dependencies.web
  ++ optional-dependencies.notify
  ++ optional-dependencies.s3;

  # The page is part of the package, so that settings.web works as it is.
  optional-dependencies.web = with python3Packages; [
    jinja2
    uvicorn
  ];

  # Alerts by mail, ntfy and the like, so that settings.notify works as it is.
  optional-dependencies.notify = with python3Packages; [ apprise ];

  # Copies in a bucket, so that settings.buckets works as it is.
  optional-dependencies.s3 = with python3Packages; [ boto3 ];

  # 1.0.0 does as well. Never relax cronsim: before 2.8 it overlooks a job that is due this very minute.
  pythonRelaxDeps = [ "tomli-w" ];

  makeWrapperArgs = [
    "--prefix"
    "PATH"
    ":"
    (lib.makeBinPath [
      bubblewrap
      gnupg
      syncthing
      zstd
    ])
  ];

  nativeBuildInputs = [ installShellFiles ];

  postInstall = lib.optionalString (stdenv.buildPlatform.canExecute stdenv.hostPlatform) ''
    installShellCompletion --cmd permafrost ${
      lib.concatMapStringsSep " " (
        shell: "--${shell} <(_PERMAFROST_COMPLETE=${shell}_source $out/bin/permafrost)"
      ) [ "bash" "zsh" "fish" ]
    }
  '';

  doCheck = false; # the tests start servers; they are run before a release
  pythonImportsCheck = [ "permafrost.cli.main" ];

  meta = {
    description = "Backs up a Mastodon server to machines of its admin, and proves that the backups restore";
    license = lib.licenses.agpl3Plus;
    mainProgram = "permafrost";
    platforms = lib.platforms.linux;
  };
}
