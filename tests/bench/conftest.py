from tests.fixtures.syncthing import peers

__all__ = ["peers"]
