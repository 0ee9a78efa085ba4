metadata description = 'Who is told when a stamp costs more than was meant.'

@description('Name of the budget.')
param name string

@description('So much a month, in the currency of the subscription.')
@minValue(1)
param amount int

@description('The first day of the month from which it counts, such as 2026-12-01. It cannot be changed later.')
param since string

@description('Who is told, by mail.')
param email string

resource budget 'Microsoft.Consumption/budgets@2026-06-01' = {
  name: name
  properties: {
    category: 'Cost'
    amount: amount
    timeGrain: 'Monthly'
    timePeriod: { startDate: since }
    notifications: {
      most: {
        enabled: true
        operator: 'GreaterThan'
        threshold: 80
        thresholdType: 'Actual'
        contactEmails: [email]
      }
      more: {
        enabled: true
        operator: 'GreaterThan'
        threshold: 100
        thresholdType: 'Forecasted'
        contactEmails: [email]
      }
    }
  }
}
