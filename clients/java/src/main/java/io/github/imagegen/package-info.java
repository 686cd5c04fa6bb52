/**
 * The client of imagegen: {@link io.github.imagegen.ImageGenClient} is where to begin. The messages
 * and the plain stubs are in {@code io.github.imagegen.v1}.
 */
package io.github.imagegen;
