// A worker of translate.test.ts: joins the memory it is sent, translates one address there and sends the answer back.
import { AddressSpace, PhysicalMemory, type SharedHandle } from 'pagewalk';

addEventListener('message', async ({ data }: MessageEvent<{ handle: SharedHandle; space: number; va: number }>) => {
  const memory = await PhysicalMemory.join(data.handle);
  postMessage(AddressSpace.at(memory, data.space).translate(data.va));
  memory.dispose();
});
