import { Button, Code, Group, Modal, Select, Stack, Text, VisuallyHidden } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { createColumnHelper } from '@tanstack/react-table'
import { useState } from 'react'
import { useRight } from '../api/session.ts'
import { keysQuery, type ShownTenantKey, type TenantKey, useMakeKey, useRevokeKey } from '../api/tenant-parts.ts'
import { formatDateTime } from '../format.ts'
import type { Column, tableFeatureSet } from '../parts/data-table.tsx'
import { EmptyState } from '../parts/empty-state.tsx'
import { ListCard } from '../parts/list-card.tsx'
import { ProblemAlert } from '../parts/problem-alert.tsx'
import { reportDone } from '../parts/report.tsx'
import { ShownKey } from '../parts/shown-key.tsx'
import { TimeAgo } from '../parts/time-ago.tsx'
import { LimitForm } from './limit-key.tsx'

const OVERLAPS = [
  { value: '0', label: 'at once' },
  { value: '3600', label: 'after an hour' },
  { value: '86400', label: 'after a day' },
  { value: '604800', label: 'after a week' },
]

const TITLES = { limit: 'Limit the key', rotate: 'Rotate the key', revoke: 'Revoke the key' }

type Chosen = { act: keyof typeof TITLES; key: TenantKey }

/** The tenant's API keys: none can be read again, so a new one is shown this once. */
export function KeysTab({ tenantId }: { tenantId: string }) {
  const canAct = useRight('tenantKeys', 'act')
  const keys = useQuery(keysQuery(tenantId))
  const make = useMakeKey(tenantId)
  const [chosen, choose] = useState<Chosen>()
  const [shown, show] = useState<ShownTenantKey>()
  return (
    <>
      <ListCard
        title="Keys"
        query={keys}
        columns={canAct ? [...COLUMNS, actionsColumn(choose)] : COLUMNS}
        rowId={(key) => key.key_id}
        empty={<EmptyState title="There are no keys">Without one nobody can use the tenant.</EmptyState>}
        action={
          canAct && (
            <Group gap="xs">
              {(['anon', 'service'] as const).map((kind) => (
                <Button
                  key={kind}
                  size="compact-sm"
                  variant="default"
                  loading={
                    make.isPending &&
                    make.variables !== undefined &&
                    'kind' in make.variables &&
                    make.variables.kind === kind
                  }
                  onClick={() => make.mutate({ kind }, { onSuccess: (made) => show(made.shown) })}
                >
                  New {kind} key
                </Button>
              ))}
            </Group>
          )
        }
      />
      {make.error !== null && <ProblemAlert fault={make.error} />}
      <Modal
        opened={chosen !== undefined}
        onClose={() => choose(undefined)}
        title={chosen === undefined ? '' : TITLES[chosen.act]}
      >
        {chosen?.act === 'limit' && <LimitForm tenantId={tenantId} of={chosen.key} onClose={() => choose(undefined)} />}
        {chosen?.act === 'rotate' && (
          <RotateForm
            tenantId={tenantId}
            of={chosen.key}
            onClose={() => choose(undefined)}
            onDone={(made) => {
              choose(undefined)
              show(made)
            }}
          />
        )}
        {chosen?.act === 'revoke' && (
          <RevokeForm tenantId={tenantId} of={chosen.key} onClose={() => choose(undefined)} />
        )}
      </Modal>
      <Modal opened={shown !== undefined} onClose={() => show(undefined)} title="The new key">
        {shown !== undefined && (
          <Stack>
            <Text size="sm">Take it along now: it is not shown again.</Text>
            <ShownKey label={`The ${shown.kind} key`} value={shown.key} />
            <Group justify="flex-end">
              <Button onClick={() => show(undefined)}>Done</Button>
            </Group>
          </Stack>
        )}
      </Modal>
    </>
  )
}

type FormProps = { tenantId: string; of: TenantKey; onClose: () => void }

function RotateForm({ tenantId, of, onClose, onDone }: FormProps & { onDone: (made: ShownTenantKey) => void }) {
  const make = useMakeKey(tenantId)
  const [overlap, setOverlap] = useState('86400')
  return (
    <Stack>
      <Text size="sm">
        A new {of.kind} key takes the place of <Code>{of.hint}</Code>, which goes on working for as long as you say.
      </Text>
      <Select
        label="The old key ends"
        data={OVERLAPS}
        allowDeselect={false}
        value={overlap}
        onChange={(next) => setOverlap(next ?? overlap)}
      />
      {make.error !== null && <ProblemAlert fault={make.error} />}
      <Group justify="flex-end">
        <Button variant="default" onClick={onClose}>
          Cancel
        </Button>
        <Button
          loading={make.isPending}
          onClick={() =>
            make.mutate(
              { replaces: of.key_id, overlapSeconds: Number(overlap) },
              { onSuccess: (made) => onDone(made.shown) },
            )
          }
        >
          Rotate
        </Button>
      </Group>
    </Stack>
  )
}

function RevokeForm({ tenantId, of, onClose }: FormProps) {
  const revoke = useRevokeKey(tenantId)
  return (
    <Stack>
      <Text size="sm">
        Whoever uses <Code>{of.hint}</Code> is refused within a second. This cannot be undone.
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
                reportDone(`The ${of.kind} key ${of.hint} is revoked.`, requestId)
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

const helper = createColumnHelper<typeof tableFeatureSet, TenantKey>()
const COLUMNS = [
  helper.accessor('kind', { header: 'Kind', enableSorting: false }),
  helper.accessor('hint', { header: 'Key', enableSorting: false, cell: ({ getValue }) => <Code>{getValue()}</Code> }),
  helper.accessor('rate_limit', {
    header: 'Requests per second',
    enableSorting: false,
    cell: ({ getValue }) => <Text size="sm">{getValue() ?? "the tenant's"}</Text>,
  }),
  helper.accessor('created_at', {
    header: 'Made',
    enableSorting: false,
    cell: ({ getValue }) => <TimeAgo at={getValue()} />,
  }),
  helper.accessor('expires_at', {
    header: 'Ends',
    enableSorting: false,
    cell: ({ getValue }) => {
      const at = getValue()
      return <Text size="sm">{at === null ? 'never' : formatDateTime(at)}</Text>
    },
  }),
] as Column<TenantKey>[]

function actionsColumn(choose: (chosen: Chosen) => void): Column<TenantKey> {
  return helper.display({
    id: 'actions',
    header: () => <VisuallyHidden>Actions</VisuallyHidden>,
    meta: { align: 'right' },
    cell: ({ row: { original: key } }) => (
      <Group gap="xs" justify="flex-end" wrap="nowrap">
        <Button
          size="compact-xs"
          variant="default"
          aria-label={`Limit the ${key.kind} key ${key.hint}`}
          onClick={() => choose({ act: 'limit', key })}
        >
          Limit
        </Button>
        <Button
          size="compact-xs"
          variant="default"
          disabled={key.replaced_by !== null}
          aria-label={`Rotate the ${key.kind} key ${key.hint}`}
          onClick={() => choose({ act: 'rotate', key })}
        >
          Rotate
        </Button>
        <Button
          size="compact-xs"
          variant="light"
          color="red"
          aria-label={`Revoke the ${key.kind} key ${key.hint}`}
          onClick={() => choose({ act: 'revoke', key })}
        >
          Revoke
        </Button>
      </Group>
    ),
  }) as Column<TenantKey>
}
