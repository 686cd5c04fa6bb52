package io.github.imagegen;

/**
 * How a generation outlives its RPC.
 *
 * @param resumable a stream that breaks is read on
 * @param shared it may run on at the server without this reader: stopping it takes a Cancel
 * @param owned nobody else can know its name, so leaving it stops it
 */
record Lifetime(boolean resumable, boolean shared, boolean owned) {}
