/**
 * Not for inside: certificates, which cost each start of Node half a second there;
 * folders that only this machine has; and what tap and npm tell their children.
 */
const LEFT_OUT =
  /^(NODE_EXTRA_CA_CERTS|TMPDIR|TRIVIUM_TEST_DISK|PWD|OLDPWD|SHLVL|_|INIT_CWD|(TAP|_TAP|npm_).*)$/

/** This process's environment, as a command in the guest gets it. */
export function guestEnv(): Readonly<Record<string, string | undefined>> {
  const kept = Object.entries(process.env).filter(([name]) => !LEFT_OUT.test(name))
  return { ...Object.fromEntries(kept), TRIVIUM_GUEST: '1' }
}
