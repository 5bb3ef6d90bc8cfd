import { Alert, Button, Code, Group, Text } from '@mantine/core'
import { ExclamationTriangleIcon } from '@radix-ui/react-icons'
import { PlatformProblem } from '../api/client.ts'

/** What went wrong, with the request's id for whoever has to look into it; and a way to try again. */
export function ProblemAlert({ fault, title, onRetry }: { fault: unknown; title?: string; onRetry?: () => void }) {
  const problem = fault instanceof PlatformProblem ? fault : undefined
  const detail = fault instanceof Error ? fault.message : 'Something unforeseen happened.'
  return (
    <Alert
      color="red"
      variant="light"
      icon={<ExclamationTriangleIcon />}
      title={title ?? titleOf(problem)}
      role="alert"
      styles={{ title: { color: 'var(--bad)' }, icon: { color: 'var(--bad)' } }}
    >
      <Text size="sm">{detail}</Text>
      {problem?.errors.map((error) => (
        <Text size="sm" key={`${error.path} ${error.message}`}>
          <Code>{error.path}</Code> {error.message}
        </Text>
      ))}
      <Group mt={problem?.requestId === undefined && onRetry === undefined ? 0 : 'xs'} gap="sm">
        {onRetry !== undefined && (
          <Button size="compact-sm" variant="default" onClick={onRetry}>
            Try again
          </Button>
        )}
        {problem?.requestId !== undefined && <RequestId id={problem.requestId} />}
      </Group>
    </Alert>
  )
}

export function RequestId({ id }: { id: string }) {
  return (
    <Text size="xs" c="dimmed" span>
      Request <span style={{ fontFamily: 'var(--mantine-font-family-monospace)', wordBreak: 'break-all' }}>{id}</span>
    </Text>
  )
}

function titleOf(problem: PlatformProblem | undefined): string {
  switch (problem?.status) {
    case undefined:
      return 'Something went wrong'
    case 0:
      return 'No connection'
    case 403:
      return 'Not allowed'
    case 404:
      return 'Not found'
    case 409:
    case 412:
      return 'In the way of the present state'
    case 503:
      return 'Not available at the moment'
    default:
      return problem !== undefined && problem.status >= 500 ? 'The platform failed' : 'Refused'
  }
}
