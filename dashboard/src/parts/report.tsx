import { Text } from '@mantine/core'
import { notifications } from '@mantine/notifications'
import { PlatformProblem } from '../api/client.ts'
import { RequestId } from './problem-alert.tsx'

/** Says that something was done, with the id of the request that did it. */
export function reportDone(message: string, requestId?: string): void {
  notifications.show({
    message: (
      <>
        <Text size="sm">{message}</Text>
        {requestId !== undefined && <RequestId id={requestId} />}
      </>
    ),
    closeButtonProps: { 'aria-label': 'Close' },
    color: 'teal',
    autoClose: 6_000,
    role: 'status',
  })
}

/** Says that something was not done, why, and under which request; it stays until it is read. */
export function reportFailed(title: string, fault: unknown): void {
  const problem = fault instanceof PlatformProblem ? fault : undefined
  notifications.show({
    title,
    message: (
      <>
        <Text size="sm">{fault instanceof Error ? fault.message : String(fault)}</Text>
        {problem?.errors.map((error) => (
          <Text size="sm" key={error.path}>
            {error.path} {error.message}
          </Text>
        ))}
        {problem?.requestId !== undefined && <RequestId id={problem.requestId} />}
      </>
    ),
    closeButtonProps: { 'aria-label': 'Close' },
    color: 'red',
    autoClose: false,
    role: 'alert',
  })
}
