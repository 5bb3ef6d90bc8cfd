import { Button, Code, Group, Modal, Select, Stack, Text, TextInput, VisuallyHidden } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { useQuery } from '@tanstack/react-query'
import { createColumnHelper } from '@tanstack/react-table'
import { type FormEvent, useState } from 'react'
import {
  type CreatePlatformKey,
  type PlatformKey,
  platformKeysQuery,
  type ShownPlatformKey,
  useMakePlatformKey,
  useRevokePlatformKey,
} from '../api/platform-parts.ts'
import { useRight } from '../api/session.ts'
import { formatDateTime } from '../format.ts'
import type { Column, tableFeatureSet } from '../parts/data-table.tsx'
import { EmptyState } from '../parts/empty-state.tsx'
import { ListCard } from '../parts/list-card.tsx'
import { PageHeader } from '../parts/page-header.tsx'
import { useCursorPages } from '../parts/pager.tsx'
import { ProblemAlert } from '../parts/problem-alert.tsx'
import { reportDone } from '../parts/report.tsx'
import { ShownKey } from '../parts/shown-key.tsx'
import { TimeAgo } from '../parts/time-ago.tsx'

const ROLES: readonly { value: CreatePlatformKey['role']; label: string }[] = [
  { value: 'owner', label: 'Owner: everything, keys too' },
  { value: 'operator', label: 'Operator: tenants, servers, alerts' },
  { value: 'billing', label: 'Billing: usage and invoices' },
  { value: 'viewer', label: 'Viewer: sees, changes nothing' },
]
const LIFETIMES = [
  { value: '', label: 'never' },
  { value: '1', label: 'in a day' },
  { value: '30', label: 'in 30 days' },
  { value: '90', label: 'in 90 days' },
  { value: '365', label: 'in a year' },
]
const DAY_MS = 86_400_000

/** Who may use the platform: each key with its role, its end, and when it was used last. */
export function PlatformKeysPage() {
  const pages = useCursorPages()
  const keys = useQuery(platformKeysQuery(pages.cursor))
  const canAct = useRight('platformKeys', 'act')
  const [making, make] = useDisclosure()
  const [shown, show] = useState<ShownPlatformKey>()
  const [revoking, revoke] = useState<PlatformKey>()
  return (
    <>
      <PageHeader title="Platform keys" />
      <ListCard
        title="Keys"
        query={keys}
        columns={canAct ? [...COLUMNS, actionsColumn(revoke)] : COLUMNS}
        rowId={(key) => key.key_id}
        pages={pages}
        empty={<EmptyState title="There are no keys" />}
        action={
          canAct && (
            <Button size="compact-sm" variant="default" onClick={make.open}>
              New key
            </Button>
          )
        }
      />
      <Modal opened={making} onClose={make.close} title="New platform key">
        {making && (
          <MakeForm
            onClose={make.close}
            onDone={(made) => {
              make.close()
              show(made)
            }}
          />
        )}
      </Modal>
      <Modal opened={shown !== undefined} onClose={() => show(undefined)} title="The new key">
        {shown !== undefined && (
          <Stack>
            <Text size="sm">Take it along now: it is not shown again.</Text>
            <ShownKey label={`The key ${shown.name}`} value={shown.key} />
            <Group justify="flex-end">
              <Button onClick={() => show(undefined)}>Done</Button>
            </Group>
          </Stack>
        )}
      </Modal>
      <Modal opened={revoking !== undefined} onClose={() => revoke(undefined)} title="Revoke the key">
        {revoking !== undefined && <RevokeForm of={revoking} onClose={() => revoke(undefined)} />}
      </Modal>
    </>
  )
}

function MakeForm({ onClose, onDone }: { onClose: () => void; onDone: (made: ShownPlatformKey) => void }) {
  const make = useMakePlatformKey()
  const [name, setName] = useState('')
  const [role, setRole] = useState<CreatePlatformKey['role']>('viewer')
  const [days, setDays] = useState('90')
  const submit = (event: FormEvent) => {
    event.preventDefault()
    const expires_at = days === '' ? null : new Date(Date.now() + Number(days) * DAY_MS).toISOString()
    make.mutate({ name: name.trim(), role, expires_at }, { onSuccess: ({ shown }) => onDone(shown) })
  }
  return (
    <form onSubmit={submit}>
      <Stack>
        <TextInput
          label="Name"
          description="Whose it is, or what for: the audit log shows it."
          required
          data-autofocus
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <Select
          label="Role"
          data={ROLES}
          allowDeselect={false}
          value={role}
          onChange={(next) => next !== null && setRole(next)}
        />
        <Select
          label="Ends"
          data={LIFETIMES}
          allowDeselect={false}
          value={days}
          onChange={(next) => next !== null && setDays(next)}
        />
        {make.error !== null && <ProblemAlert fault={make.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" disabled={name.trim() === ''} loading={make.isPending}>
            Make it
          </Button>
        </Group>
      </Stack>
    </form>
  )
}

function RevokeForm({ of, onClose }: { of: PlatformKey; onClose: () => void }) {
  const revoke = useRevokePlatformKey()
  return (
    <Stack>
      <Text size="sm">
        Whoever uses <Code>{of.hint}</Code> ({of.name}) is refused within a second, and signed out. This cannot be
        undone.
      </Text>
      {revoke.error !== null && <ProblemAlert fault={revoke.error} />}
      <Group justify="flex-end">
        <Button variant="default" onClick={onClose}>
          Keep it
        </Button>
        <Button
          color="red"
          loading={revoke.isPending}
          onClick={() =>
            revoke.mutate(of.key_id, {
              onSuccess: ({ requestId }) => {
                reportDone(`The key ${of.name} is revoked.`, requestId)
                onClose()
              },
            })
          }
        >
          Revoke
        </Button>
      </Group>
    </Stack>
  )
}

const helper = createColumnHelper<typeof tableFeatureSet, PlatformKey>()
const COLUMNS = [
  helper.accessor('name', { header: 'Name', enableSorting: false }),
  helper.accessor('role', { header: 'Role', enableSorting: false }),
  helper.accessor('hint', { header: 'Key', enableSorting: false, cell: ({ getValue }) => <Code>{getValue()}</Code> }),
  helper.accessor('last_used_at', {
    header: 'Last used',
    enableSorting: false,
    cell: ({ getValue }) => {
      const at = getValue()
      return at === null ? 'never' : <TimeAgo at={at} />
    },
  }),
  helper.accessor('expires_at', {
    header: 'Ends',
    enableSorting: false,
    cell: ({ getValue }) => {
      const at = getValue()
      return <Text size="sm">{at === null ? 'never' : formatDateTime(at)}</Text>
    },
  }),
] as Column<PlatformKey>[]

function actionsColumn(revoke: (key: PlatformKey) => void): Column<PlatformKey> {
  return helper.display({
    id: 'actions',
    header: () => <VisuallyHidden>Actions</VisuallyHidden>,
    meta: { align: 'right' },
    cell: ({ row: { original: key } }) => (
      <Button
        size="compact-xs"
        variant="light"
        color="red"
        aria-label={`Revoke the key ${key.name}`}
        onClick={() => revoke(key)}
      >
        Revoke
      </Button>
    ),
  }) as Column<PlatformKey>
}
