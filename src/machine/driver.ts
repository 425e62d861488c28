// A driver, or a file system, that keeps a record of the pages of its file that were written to (page_mkwrite(), pfn_mkwrite()).
//
// Guarantees: a page whose first store was allowed stands in the record, unless the policy of the fault keeps no lock (see FaultPolicy.mkwrite). A cycle
// (`Kernel.transfer`) takes the record and copies the pages to the device. See assembly/fault/driver.ts and assembly/kernel/transfer.ts.

import { DRIVER_DEVICE, DRIVER_LOCK, DRIVER_RECORD, DRIVER_STRIDE } from '../../assembly/layout.ts';
import type { Pfn } from '../units.ts';
import type { SharedFile } from './sharedfile.ts';

export class DirtyDriver {
  readonly file: SharedFile;
  readonly handle: number;

  /**
   * The driver of `file`, which was made with `pages`. With `frames`, its pages are the frames of a device from that one on, which no mm counts: declare
   * them with `pfns`. Without, they are pages of the page cache. Declare the file with `writeNotify` either way. At set-up.
   * @throws RangeError if there is no room, or the file has no pages.
   */
  constructor(file: SharedFile, options: { readonly frames?: Pfn } = {}) {
    if (file.pages === 0) throw new RangeError('"file" must be made with "pages"');
    const { core } = file.memory;
    const { frames } = options;
    this.file = file;
    this.handle = core.createDriver(file.pages, frames !== undefined, frames ?? 0) >>> 0;
    if (this.handle === 0) throw new RangeError('no heap is left for a driver');
    core.setDriver(file.handle, this.handle);
    file.memory.nameLock(this.handle + DRIVER_LOCK, `lock of driver 0x${this.handle.toString(16)}`);
  }

  /** Pages of the file that were written to since the record was taken last, ascending. */
  get recorded(): number[] {
    const { view } = this.file.memory;
    const record = view.getUint32(this.handle + DRIVER_RECORD, true);
    return Array.from({ length: this.file.pages }, (_, page) => page).filter(
      (page) => ((view.getUint32(record + 4 * (page >>> 5), true) >>> (page & 31)) & 1) === 1,
    );
  }

  /** The device's copy of a page, live: words of 8 bytes. @throws RangeError if the file has no such page. */
  device(page: number): BigUint64Array {
    const { view } = this.file.memory;
    const stride = view.getUint32(this.handle + DRIVER_STRIDE, true);
    const first = view.getUint32(this.handle + DRIVER_DEVICE, true);
    return new BigUint64Array(view.buffer, first + this.file.checkPage(page) * stride, stride / 8);
  }

  /** No fault of its file is under way. Before the file. */
  dispose(): void {
    this.file.memory.core.setDriver(this.file.handle, 0);
    this.file.memory.core.freeDriver(this.handle);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
