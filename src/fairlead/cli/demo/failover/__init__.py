"""Engines that fail, watched: a crash, a return, a drain, a killed agent; and a VIP scaled out."""
