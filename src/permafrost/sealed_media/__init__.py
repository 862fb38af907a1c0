"""Media sealed before they leave: packs of files, a sealed catalog that names them, and a signed list without names."""
