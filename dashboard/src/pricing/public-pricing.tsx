import { Anchor, Container, Group, Text } from '@mantine/core'
import markUrl from '../app/mark.svg'
import { PricingPage } from './pricing-page.tsx'

/** The calculator for those who are not signed in. */
export default function PublicPricing() {
  return (
    <Container component="main" size="lg" py="xl">
      <Group justify="space-between" mb="xl">
        <Group gap="xs">
          <img src={markUrl} alt="" width={26} height={26} />
          <Text fw={600}>AeroDB</Text>
        </Group>
        <Anchor href="/" size="sm">
          Sign in
        </Anchor>
      </Group>
      <PricingPage />
    </Container>
  )
}
