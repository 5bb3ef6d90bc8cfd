import type { Theme } from 'vitepress'
import DefaultTheme from 'vitepress/theme'
import PricingCalculator from './pricing-calculator.vue'

export default {
  extends: DefaultTheme,
  enhanceApp({ app }) {
    app.component('PricingCalculator', PricingCalculator)
  },
} satisfies Theme
