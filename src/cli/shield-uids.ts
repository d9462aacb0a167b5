/** 256 random bits in base64url: one of 64 begins with a dash. No option of ours looks like it. */
const UID_LIKE_AN_OPTION = /^-[\w-]{42}$/;

/** Moves uids that begin with a dash behind `--`, where they are taken for what they are. */
export function shieldUids(args: readonly string[]): string[] {
  const uids = args.filter((arg) => UID_LIKE_AN_OPTION.test(arg));
  if (uids.length === 0 || args.includes('--')) return [...args];
  return [...args.filter((arg) => !UID_LIKE_AN_OPTION.test(arg)), '--', ...uids];
}
