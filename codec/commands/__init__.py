"""The commands of lmconv-codec, a file each; options.py and running.py are what they share."""
