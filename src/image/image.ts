// An image of physical memory: pages by physical address, read when they are asked for.

import type { PhysicalAddress } from '../units.ts';

/** `raw`: the byte at offset N is the byte at physical address N. `ptpg`: the sparse page-table capture `PTPG0001`. */
export type ImageKind = 'raw' | 'ptpg';

export const IMAGE_KINDS: readonly ImageKind[] = ['raw', 'ptpg'];

export interface Image extends AsyncDisposable {
  readonly kind: ImageKind;
  /** What messages call it: its path, or the name the caller gave. */
  readonly name: string;
  /** Whole 4 KiB pages it holds. */
  readonly pages: number;
  /** Size of the image as stored, after decompression. */
  readonly sizeBytes: number;
  /** What is wrong with it although its pages can be read: one line each, naming what and where. */
  readonly problems: readonly string[];
  /** The 4 KiB page that holds `pa`, or undefined if the image does not have it. @throws ImageError if reading fails. */
  page(pa: PhysicalAddress): Uint8Array | undefined;
  close(): Promise<void>;
}

export interface ImageOptions {
  /** Read it as this kind, whatever its first bytes look like. */
  readonly kind?: ImageKind;
  /** Physical address of the first byte of a raw image; 0 unless told. */
  readonly base?: PhysicalAddress;
}
