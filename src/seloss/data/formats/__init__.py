"""Files that hold data: manifests, arrays, audio, stored features; and batches of them."""
