"""Lists and watches of namespaced kinds over all namespaces, put together from one read a namespace as the user."""
