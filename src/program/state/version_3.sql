-- So that a silence is told once: the last evidence of the host when its silence was told; NULL while none was.
ALTER TABLE record ADD COLUMN silence_told INTEGER;
