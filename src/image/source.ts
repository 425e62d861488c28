// Where the bytes of an image come from: a file or an array, read at any offset.
//
// Guarantees: `read` returns what there is, so fewer bytes than asked for means the end; nothing is kept.

/** Bytes that can be read at any offset. */
export interface ByteSource {
  /** What errors call it. */
  readonly name: string;
  readonly sizeBytes: number;
  /** Up to `lengthBytes` bytes from `offset` on: fewer at the end. The caller does not change them. */
  read(offset: number, lengthBytes: number): Uint8Array;
  close(): Promise<void>;
}

/** An image that cannot be read: the message names the image, what is wrong and where. */
export class ImageError extends Error {
  override readonly name = 'ImageError';
}

export function sourceOf(bytes: Uint8Array, name: string): ByteSource {
  return {
    name,
    sizeBytes: bytes.length,
    read: (offset, lengthBytes) => bytes.subarray(offset, offset + lengthBytes),
    close: async () => {},
  };
}
