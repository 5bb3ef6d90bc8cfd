import {
  ActionIcon,
  AppShell,
  Badge,
  Burger,
  Menu,
  Text,
  Tooltip,
  UnstyledButton,
  useMantineColorScheme,
  VisuallyHidden,
} from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import {
  BellIcon,
  CaretSortIcon,
  CubeIcon,
  DashboardIcon,
  ExitIcon,
  ExternalLinkIcon,
  IdCardIcon,
  LayersIcon,
  LockClosedIcon,
  MixerHorizontalIcon,
  MoonIcon,
  PaperPlaneIcon,
  StackIcon,
  SunIcon,
} from '@radix-ui/react-icons'
import { type ReactNode, Suspense, useEffect } from 'react'
import { NavLink, Outlet, useLocation } from 'react-router'
import { useOpenAlertCount } from '../api/alerts.ts'
import { useRight, useSession, useSignOut } from '../api/session.ts'
import { PageLoading } from '../parts/page-loading.tsx'
import markUrl from './mark.svg'
import classes from './shell.module.css'

/** The frame of every page behind the sign-in: where one is, where one can go, who one is. */
export function Shell() {
  const [opened, { toggle, close }] = useDisclosure()
  const { pathname } = useLocation()

  // A new page begins at its top, for the eye and for the screen reader.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the path is what it waits for
  useEffect(() => {
    close()
    window.scrollTo(0, 0)
  }, [pathname])

  return (
    <AppShell
      header={{ height: 52, collapsed: false }}
      navbar={{ width: 232, breakpoint: 'sm', collapsed: { mobile: !opened } }}
      layout="alt"
      withBorder={false}
    >
      {/* The browser itself moves the focus to the target of the fragment. */}
      <a className="skip-link" href="#main">
        Skip to the content
      </a>
      <AppShell.Header className={classes.header} hiddenFrom="sm">
        <Burger opened={opened} onClick={toggle} size="sm" aria-label="Navigation" aria-expanded={opened} />
        <img src={markUrl} alt="" width={22} height={22} />
        <Text fw={600}>AeroDB</Text>
      </AppShell.Header>
      <AppShell.Navbar className={classes.navbar} aria-label="Pages">
        <Navigation onBurger={toggle} />
      </AppShell.Navbar>
      <AppShell.Main pt={{ base: 52, sm: 0 }} id="main" tabIndex={-1} style={{ outline: 'none' }}>
        <div className={classes.main}>
          <Suspense fallback={<PageLoading />}>
            <Outlet />
          </Suspense>
        </div>
      </AppShell.Main>
    </AppShell>
  )
}

function Navigation({ onBurger }: { onBurger: () => void }) {
  const canSeeAlerts = useRight('alerts', 'see')
  const canSeeOperations = useRight('operations', 'see')
  const canSeeAudits = useRight('auditLog', 'see')
  const canSeeWebhooks = useRight('webhooks', 'see')
  const canSeeKeys = useRight('platformKeys', 'see')
  return (
    <>
      <div style={{ display: 'flex', alignItems: 'flex-start', justifyContent: 'space-between' }}>
        <NavLink to="/" className={classes.brand ?? ''}>
          <img src={markUrl} alt="" width={26} height={26} />
          <span>
            AeroDB
            <br />
            <span className={classes.domain}>{window.location.hostname.replace(/^control\./, '')}</span>
          </span>
        </NavLink>
        <Burger opened onClick={onBurger} size="sm" hiddenFrom="sm" aria-label="Close the navigation" />
      </div>
      <PageLink to="/overview" icon={<DashboardIcon />} label="Overview" />
      <PageLink to="/tenants" icon={<LayersIcon />} label="Tenants" />
      {canSeeAlerts && <PageLink to="/alerts" icon={<BellIcon />} label="Alerts" count={<OpenAlerts />} />}
      {canSeeOperations && <PageLink to="/operations" icon={<CubeIcon />} label="Operations" />}
      {canSeeOperations && <PageLink to="/servers" icon={<StackIcon />} label="Servers" />}
      {canSeeAudits && <PageLink to="/isolation" icon={<LockClosedIcon />} label="Isolation audit" />}
      {canSeeWebhooks && <PageLink to="/webhooks" icon={<PaperPlaneIcon />} label="Webhooks" />}
      {canSeeKeys && <PageLink to="/platform-keys" icon={<IdCardIcon />} label="Platform keys" />}
      <PageLink to="/pricing" icon={<MixerHorizontalIcon />} label="Pricing" />
      <div className={classes.section}>Elsewhere</div>
      <OutsideLink href="/docs" icon={<ExternalLinkIcon />} label="API reference" />
      <div className={classes.foot}>
        <Account />
      </div>
    </>
  )
}

function PageLink(props: { to: string; icon: ReactNode; label: string; count?: ReactNode }) {
  return (
    <NavLink to={props.to} className={classes.link ?? ''}>
      {props.icon}
      {props.label}
      {props.count !== undefined && <span className={classes.count}>{props.count}</span>}
    </NavLink>
  )
}

function OutsideLink(props: { href: string; icon: ReactNode; label: string }) {
  return (
    <a href={props.href} className={classes.link} target="_blank" rel="noreferrer">
      {props.icon}
      {props.label}
    </a>
  )
}

function OpenAlerts() {
  const count = useOpenAlertCount()
  if (count === undefined || count === 0) return null
  return (
    <Badge size="sm" color="red" variant="light" className="figures">
      {count >= 200 ? '200+' : count}
      <VisuallyHidden> open</VisuallyHidden>
    </Badge>
  )
}

function Account() {
  const { data: session } = useSession()
  const signOut = useSignOut()
  const { colorScheme, setColorScheme } = useMantineColorScheme()
  const isDark =
    colorScheme === 'dark' || (colorScheme === 'auto' && window.matchMedia('(prefers-color-scheme: dark)').matches)
  return (
    <div style={{ display: 'flex', alignItems: 'center', gap: 4 }}>
      <Menu position="top-start" width={216}>
        <Menu.Target>
          <UnstyledButton className={classes.link} style={{ flex: 1, minWidth: 0, height: 44 }}>
            <span style={{ minWidth: 0, lineHeight: 1.25 }}>
              <Text size="sm" fw={500} c="var(--mantine-color-text)" truncate>
                {session?.name}
              </Text>
              <Text size="xs" c="dimmed">
                {session?.role}
              </Text>
            </span>
            <CaretSortIcon style={{ marginLeft: 'auto' }} />
          </UnstyledButton>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item leftSection={<ExitIcon />} onClick={() => signOut.mutate()}>
            Sign out
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <Tooltip label={isDark ? 'Light colours' : 'Dark colours'}>
        <ActionIcon
          size="lg"
          aria-label={isDark ? 'Light colours' : 'Dark colours'}
          onClick={() => setColorScheme(isDark ? 'light' : 'dark')}
        >
          {isDark ? <SunIcon /> : <MoonIcon />}
        </ActionIcon>
      </Tooltip>
    </div>
  )
}
