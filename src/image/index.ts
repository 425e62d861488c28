// Images of physical memory.

export type { Image, ImageKind, ImageOptions } from './image.ts';
export { IMAGE_KINDS } from './image.ts';
export { imageOf, openImage } from './open.ts';
export { ImageError } from './source.ts';
