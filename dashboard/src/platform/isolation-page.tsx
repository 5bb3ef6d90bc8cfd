import { Button, Paper, SimpleGrid, Stack, Table, Text, Title } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { type IsolationReport, isolationAuditQuery, useAuditNow } from '../api/platform-parts.ts'
import { formatCount } from '../format.ts'
import { EmptyState } from '../parts/empty-state.tsx'
import { PageHeader } from '../parts/page-header.tsx'
import { PageLoading } from '../parts/page-loading.tsx'
import { ProblemAlert } from '../parts/problem-alert.tsx'
import { reportFailed } from '../parts/report.tsx'
import { StatusDot } from '../parts/status-dot.tsx'
import { TimeAgo } from '../parts/time-ago.tsx'

const CANARY = {
  passed: 'No tenant reads another’s canary row',
  failed: 'A tenant read another’s canary row',
  not_probed: 'No canary rows were looked for',
} as const

/** Whether tenants are walled off from each other: each promise, and where it is broken. */
export function IsolationPage() {
  const audit = useQuery(isolationAuditQuery)
  const now = useAuditNow()
  const report = audit.data?.report
  return (
    <>
      <PageHeader
        title="Isolation audit"
        detail={
          report !== undefined && (
            <>
              Looked <TimeAgo at={report.audited_at} />; the report is signed
            </>
          )
        }
      >
        <Button
          variant="default"
          loading={now.isPending}
          onClick={() => now.mutate(undefined, { onError: (fault) => reportFailed('It could not be looked', fault) })}
        >
          Look now
        </Button>
      </PageHeader>
      {audit.error !== null && report === undefined ? (
        <ProblemAlert fault={audit.error} onRetry={() => void audit.refetch()} />
      ) : report === undefined ? (
        <PageLoading />
      ) : (
        <Report report={report} />
      )}
    </>
  )
}

function Report({ report }: { report: IsolationReport }) {
  const count = (of: 'tenants' | 'tables') => formatCount(report.servers.reduce((sum, server) => sum + server[of], 0))
  return (
    <Stack>
      <SimpleGrid cols={{ base: 1, sm: 2 }}>
        <Paper p="lg">
          <StatusDot
            status={report.ok ? 'active' : 'failed'}
            label={
              report.ok ? 'Every wall stands' : `${formatCount(report.findings.length + report.unlisted)} findings`
            }
          />
          <Text size="sm" c="dimmed" mt={4}>
            {count('tenants')} tenants with {count('tables')} tables on {formatCount(report.servers.length)} servers
          </Text>
        </Paper>
        <Paper p="lg">
          <StatusDot
            status={report.canary === 'failed' ? 'failed' : report.canary === 'passed' ? 'active' : 'quiet'}
            label={CANARY[report.canary]}
          />
          <Text size="sm" c="dimmed" mt={4}>
            Asked through the real gateway, as a stranger would
          </Text>
        </Paper>
      </SimpleGrid>
      <Paper>
        <Title order={2} p="lg" pb="sm">
          Findings
        </Title>
        {report.findings.length === 0 ? (
          <EmptyState title="There are none">Findings become alerts as soon as they are seen.</EmptyState>
        ) : (
          <Table.ScrollContainer minWidth={600}>
            <Table aria-label="Findings">
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>Severity</Table.Th>
                  <Table.Th>What, and what to do</Table.Th>
                  <Table.Th>Where</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {report.findings.map((finding) => (
                  <Table.Tr key={`${finding.code} ${finding.server} ${finding.object}`}>
                    <Table.Td>
                      <StatusDot
                        status={finding.severity === 'critical' ? 'critical' : 'warning'}
                        label={finding.severity}
                      />
                    </Table.Td>
                    <Table.Td>
                      <Text size="sm">{finding.what}</Text>
                      <Text size="xs" c="dimmed">
                        {finding.remedy}
                      </Text>
                    </Table.Td>
                    <Table.Td>
                      <Text size="sm">{finding.tenant?.name ?? finding.tenant?.tenant_id ?? finding.server}</Text>
                      <Text size="xs" c="dimmed">
                        {finding.object}
                      </Text>
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
        )}
      </Paper>
      <Paper>
        <Title order={2} p="lg" pb="sm">
          What is promised
        </Title>
        <Table aria-label="Promises">
          <Table.Tbody>
            {report.rules.map((rule) => (
              <Table.Tr key={rule.code}>
                <Table.Td>{rule.promise}</Table.Td>
                <Table.Td ta="right" miw={110}>
                  <StatusDot
                    status={rule.findings === 0 ? 'active' : 'failed'}
                    label={rule.findings === 0 ? 'kept' : `${formatCount(rule.findings)} findings`}
                  />
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Paper>
    </Stack>
  )
}
