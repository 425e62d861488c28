// Which rights the entries of a VMA get by default (vm_page_prot; protection_map[] of arch/x86/mm/pgprot.c; mm/mmap.c, mm/mprotect.c).
//
// Guarantees: an entry of a private VMA is never writable by default, for the first store must copy; one of a shared VMA is, unless somebody wants to
// hear of the first store (vma_wants_writenotify()): the file (page_mkwrite, VM_WRITENOTIFY here), soft-dirty tracking, userfaultfd.

import {
  PROT_EXECUTE,
  PROT_READ,
  PROT_USER,
  PROT_WRITE,
  VM_EXEC,
  VM_READ,
  VM_SHARED,
  VM_SOFTDIRTY,
  VM_UFFD_WP,
  VM_WRITE,
  VM_WRITENOTIFY,
} from "../layout";

export abstract class Prot {
  /** vm_page_prot of a VMA with these flags, as PROT_*. */
  static ofVma(flags: u32): u32 {
    let prot: u32 = PROT_USER;
    if ((flags & VM_READ) != 0) prot |= PROT_READ;
    if ((flags & VM_EXEC) != 0) prot |= PROT_EXECUTE | PROT_READ;
    if ((flags & VM_WRITE) != 0) {
      prot |= PROT_READ;
      if ((flags & VM_SHARED) != 0 && !Prot.wantsWritenotify(flags)) prot |= PROT_WRITE;
    }
    return prot;
  }

  /** vma_wants_writenotify() of a shared and writable VMA. */
  @inline
  static wantsWritenotify(flags: u32): bool {
    return (flags & (VM_WRITENOTIFY | VM_UFFD_WP)) != 0 || Prot.tracksSoftDirty(flags);
  }

  /** vma_soft_dirty_enabled(): a page that is not soft-dirty must fault on the first store. */
  @inline
  static tracksSoftDirty(flags: u32): bool {
    return (flags & VM_SOFTDIRTY) == 0;
  }
}
