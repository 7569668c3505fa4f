"""Where the control plane's programs come from: a folder, PATH, the cache, a download, or a build."""
