const SCOPES: Record<string, string> = {
  openid: 'Confirm who you are',
  profile: 'See your name and profile',
  email: 'See your email address',
  address: 'See your postal address',
  phone: 'See your telephone number',
  groups: 'See which groups you belong to',
  roles: 'See which roles you have',
  offline_access: 'Keep access when you are not here, until its own limit or until you sign out everywhere',
};

/** Says in plain words what a scope lets a client do; a scope of a resource server is named as it is. */
export function scopeText(scope: string): string {
  return Object.hasOwn(SCOPES, scope) ? (SCOPES[scope] ?? scope) : `Use “${scope}”`;
}

/** Says which single claim (OIDC Core §5.5) a client asks for. */
export function claimText(claim: string): string {
  return `See your ${claim.replaceAll('_', ' ')}`;
}
