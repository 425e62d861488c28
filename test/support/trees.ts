/** A tree of a scenario without positions and comments. */
export function bareTree(tree: unknown): unknown {
  return JSON.parse(
    JSON.stringify(tree, (key, value: unknown) => {
      if (key === 'at' || key === 'comments') return undefined;
      if (key === 'closing') return [];
      return typeof value === 'bigint' ? `${value}n` : value;
    }),
  );
}
