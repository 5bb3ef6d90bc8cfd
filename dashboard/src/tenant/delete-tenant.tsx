import { Button, Group, Modal, Stack, Text, TextInput } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { type Tenant, useDeleteTenant } from '../api/tenants.ts'
import { ProblemAlert } from '../parts/problem-alert.tsx'
import { reportDone } from '../parts/report.tsx'

/** Deletes a tenant once its name has been typed; its data is kept for the plan's retention and can be restored until then. */
export function DeleteTenant({ tenant, opened, onClose }: { tenant: Tenant; opened: boolean; onClose: () => void }) {
  return (
    <Modal opened={opened} onClose={onClose} title={`Delete ${tenant.name}`}>
      {opened && <DeleteForm tenant={tenant} onClose={onClose} />}
    </Modal>
  )
}

function DeleteForm({ tenant, onClose }: { tenant: Tenant; onClose: () => void }) {
  const remove = useDeleteTenant(tenant.tenant_id)
  const [typed, setTyped] = useState('')
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (typed !== tenant.name) return
    remove.mutate(
      { purge: false },
      {
        onSuccess: ({ requestId }) => {
          reportDone(`${tenant.name} is being deleted.`, requestId)
          onClose()
        },
      },
    )
  }
  return (
    <form onSubmit={submit}>
      <Stack>
        <Text size="sm">
          Its address answers 404 at once. Its data is kept for as long as its plan says, and the tenant can be restored
          until then.
        </Text>
        <TextInput
          label={`Type ${tenant.name} to delete it`}
          autoComplete="off"
          data-autofocus
          value={typed}
          onChange={(event) => setTyped(event.currentTarget.value)}
        />
        {remove.error !== null && <ProblemAlert fault={remove.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Keep it
          </Button>
          <Button type="submit" color="red" disabled={typed !== tenant.name} loading={remove.isPending}>
            Delete
          </Button>
        </Group>
      </Stack>
    </form>
  )
}
