import { Anchor, Button, Paper, PasswordInput, Stack, Text, Title } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { PlatformProblem } from '../api/client.ts'
import { useSignIn } from '../api/session.ts'
import { ProblemAlert } from '../parts/problem-alert.tsx'
import markUrl from './mark.svg'
import classes from './sign-in.module.css'

/** The door: a platform key becomes a session that this page cannot read, and the key is forgotten. */
export function SignIn() {
  const [key, setKey] = useState('')
  const signIn = useSignIn()
  const isRefused = signIn.error instanceof PlatformProblem && signIn.error.status === 401
  const submit = (event: FormEvent) => {
    event.preventDefault()
    signIn.mutate(key.trim())
  }
  return (
    <main className={classes.page}>
      <div className={classes.card}>
        <Stack gap="xs" align="center" mb="xl">
          <img src={markUrl} alt="" width={44} height={44} />
          <Title order={1} mt="sm">
            Sign in to AeroDB
          </Title>
          <Text c="dimmed" size="sm" ta="center">
            The platform at {window.location.hostname.replace(/^control\./, '')}
          </Text>
        </Stack>
        <Paper p="xl" component="form" onSubmit={submit}>
          <Stack gap="md">
            <PasswordInput
              label="Platform key"
              placeholder="aero_platform_…"
              autoComplete="current-password"
              name="key"
              required
              withAsterisk={false}
              data-autofocus
              autoFocus
              value={key}
              onChange={(event) => setKey(event.currentTarget.value)}
              error={
                isRefused ? 'This key opens nothing. It may have been revoked, or a character is missing.' : undefined
              }
              styles={{ innerInput: { fontFamily: 'var(--mantine-font-family-monospace)' } }}
            />
            {signIn.error !== null && !isRefused && <ProblemAlert fault={signIn.error} />}
            <Button type="submit" loading={signIn.isPending} disabled={key.trim() === ''} fullWidth>
              Sign in
            </Button>
          </Stack>
        </Paper>
        <div className={classes.foot}>
          <Anchor href="/docs" size="sm" c="dimmed">
            API reference
          </Anchor>
          <Anchor href="/pricing" size="sm" c="dimmed">
            Pricing
          </Anchor>
        </div>
      </div>
    </main>
  )
}
