"""Engines that fail, watched: a crash, a return, a drain and a killed agent."""
